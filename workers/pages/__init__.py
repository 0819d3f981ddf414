"""The pages for people: jobs, runs, accounts, and the buttons that settle unconfirmed jobs. See docs/pages.md."""
