"""HTTP terms shared by several rooms: media types, codings, paths, the state of an exchange."""
