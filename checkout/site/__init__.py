"""Site: the pages of the shop, their words in every language, and the application that routes to every room."""
