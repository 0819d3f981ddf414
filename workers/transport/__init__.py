"""kombu's Redis transport as bide runs it: messages are taken by script, and unacked ones come back within seconds."""
