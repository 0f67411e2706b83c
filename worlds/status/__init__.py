"""Whether worlds and the platform can be used: counted every minute, kept as history, told to everybody."""
