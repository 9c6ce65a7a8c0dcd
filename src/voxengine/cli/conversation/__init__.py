"""What `talk` and `demo` share: a caller, a loudspeaker, the screen, and the records of a conversation."""
