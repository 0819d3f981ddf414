"""The ledger is lost in mid-flight, and made again from receipts."""
