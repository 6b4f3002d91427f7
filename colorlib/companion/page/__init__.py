"""HTML page that colors photographs in a browser."""
