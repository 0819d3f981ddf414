"""Money: amounts, prices by what is asked for, the book of purchases, and budgets."""
