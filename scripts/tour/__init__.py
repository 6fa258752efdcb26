"""The tour: a newcomer's first half hour with Specola, in the terminal or as a page, in English or Italian."""
