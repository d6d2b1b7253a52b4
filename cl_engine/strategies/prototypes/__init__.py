"""Methods that hold one vector per class."""
