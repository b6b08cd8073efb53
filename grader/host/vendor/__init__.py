"""Third-party libraries of the story: what Skylark's services import, and learners do not edit."""
