"""Skylark's assistant, on one account at the LLM provider: a service of group 9."""
