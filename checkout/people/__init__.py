"""People: who buyers and staff are, as far as the shop must know: contacts, accounts, roles; sealed where personal."""
