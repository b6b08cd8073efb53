"""The author's side: what makes a group fit to ship."""
