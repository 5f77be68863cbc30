"""What can go wrong on the way to a running network. Each message is a sentence that says what to do."""


class LocalError(Exception):
    """The local network cannot go on; the message is for the person at the terminal."""


class MissingSoftware(LocalError):
    """A server's programs are neither on this machine nor can they be fetched."""


class NotReady(LocalError):
    """A server did not answer within its deadline, or died; the message quotes the end of its log."""


class WrongPassword(LocalError):
    """A server answers and refuses our password: its data was made with another one, and waiting changes nothing."""


class AlreadyRunning(LocalError):
    """Another `make up` of the same state folder is alive, or one of a folder that was here and has been deleted."""
