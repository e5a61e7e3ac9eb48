"""One module per board: its panels, what each means, and in which order they are read."""
