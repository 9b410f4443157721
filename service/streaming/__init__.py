"""Request and response bodies in parts, in bounded memory."""
