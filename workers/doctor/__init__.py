"""`bide doctor`: what is wrong with a running set-up, and how to mend it. It changes nothing and buys nothing."""
