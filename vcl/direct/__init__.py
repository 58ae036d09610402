"""Direct links: bulk between two ends of a session that doesn't pass through the master.

Owns: which way bulk goes to each end (`ways`), the link between two ends of one host (`local`) and
of two (`stream`), how they find each other (`dialling`) and know each other where it is encrypted
(`tls`, `certificate`), the memory that they share (`shared`), and that in which host writes are
kept for it (`pool`). Must not know: what the bytes are, or who may open a link; the master says so.
"""
