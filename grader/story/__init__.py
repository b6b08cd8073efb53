"""The tape told to people: timelines, and the incident as charts. Reads tapes; judges nothing."""
