"""The wire: limits, frames and messages. The only package that knows msgpack and pydantic models.

README.md in this folder is the specification that another implementation could be written from.
"""
