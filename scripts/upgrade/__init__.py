"""`make upgrade`: what runs, taken to the version that is checked out part by part, and back if one fails."""
