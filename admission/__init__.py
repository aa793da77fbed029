"""Admission: the law at the door. Who is called may come in, as fast as the site behind can bear.

``admission.guard`` and what it imports need PyJWT and cryptography only: a backend installs nothing else.
"""
