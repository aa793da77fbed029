"""Checkout: the shop behind the door. For now a small demo shop; it sells nothing and charges nobody."""
