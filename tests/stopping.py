"""A reporter that ends a run in its middle."""


class StopAfter:
    """Stops a run after some experiences, as Ctrl-C would."""

    def __init__(self, experiences):
        self.left = experiences

    def started(self, scenario, directory, done, note):
        self.done, self.directory, self.note = done, directory, note

    def progress(self, text):
        pass

    def finished(self, line):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
