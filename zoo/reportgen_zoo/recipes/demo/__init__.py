"""The demonstration model that ships inside: its report language, its data, its encoder."""
