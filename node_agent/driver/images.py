"""Real images for one launch, of pixels that are kept packed in buffers.

Owns: making an image of a kind, filling it, and storing it back. Must not know: sessions, or
which launch an image is for. The driver's module is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class LaunchImage:
    """An image argument of one launch.

    pixels: the argument as `session` describes it. All is enqueued in `queue`, which is in order.
    """

    def __init__(
        self, cl: Any, context: Any, queue: Any, buffer: Any, pixels: Sequence[int]
    ) -> None:
        _, _, self._offset, _, kind, order, channel, *extent = pixels
        self._cl, self._queue, self._buffer = cl, queue, buffer
        self._extent = tuple(extent)
        types = cl.mem_object_type
        if kind == types.IMAGE1D_BUFFER:
            # One of a buffer crashes PoCL in kernels that write it, and would need alignment.
            kind = types.IMAGE1D
        descriptor = cl.ImageDescriptor()
        descriptor.image_type = kind
        descriptor.shape = self._extent
        descriptor.pitches = (0, 0)
        layers = {types.IMAGE1D_ARRAY: extent[1], types.IMAGE2D_ARRAY: extent[2]}
        descriptor.array_size = layers.get(kind, 0)
        self.image = cl.Image(
            context, cl.mem_flags.READ_WRITE, cl.ImageFormat(order, channel), desc=descriptor
        )
        """The image, once what is enqueued has run."""
        # enqueue_copy of pyopencl doesn't know images of one dimension.
        cl._cl._enqueue_copy_buffer_to_image(
            queue, buffer, self.image, self._offset, (0, 0, 0), self._extent, None
        )

    def store(self) -> Any:
        """Enqueue putting the pixels back; answers the event."""
        return self._cl._cl._enqueue_copy_image_to_buffer(
            self._queue, self.image, self._buffer, (0, 0, 0), self._extent, self._offset, None
        )
