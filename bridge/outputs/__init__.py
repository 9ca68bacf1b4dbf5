"""Outputs: adapters that send each frame on to another program in that program's own language.

An output sees frames as a subscriber does and never slows them: each runs on a thread of its own (``runner``). It is
made from a short text such as ``vmc:192.168.1.5:39539`` (``choose``).
"""
