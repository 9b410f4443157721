"""What many rooms know of HTTP: media types, paths and the state of an exchange."""
