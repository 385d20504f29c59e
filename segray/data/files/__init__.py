"""Photo and label files: their formats, decoded into arrays and encoded from them."""
