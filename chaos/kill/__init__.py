"""Vendors that are processes of their own, on real sockets and by the real clock, and are killed in mid-sentence.

- vendor: an emulated vendor as a process, and the hand that starts and kills it.
- caller: a user with a microphone in real time, and a listener.
- failover: how long it takes until another vendor answers.
- planned: that nothing is missing of an answer while another vendor takes over as planned.
- words: that the words of a turn which is heard again are understood as well as ever.
- report: all of it as figures, and as a table.
"""
