"""Staff room: where those who work for the organiser log in with a browser, and look after their second factors."""
