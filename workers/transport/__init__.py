"""kombu's Redis transport as bide runs it: a script consumes messages, and unacked ones come back within seconds."""
