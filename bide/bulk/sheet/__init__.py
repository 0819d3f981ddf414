"""The contact sheet of a bulk run: a page of thumbnails for people."""
