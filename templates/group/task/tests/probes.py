"""Small functions that run beside the service, and return plain values. What they should return is not in here."""


def greeted(ports, name):
    return ports.greeting(name)
