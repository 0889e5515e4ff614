"""Preference data as trainers read it: the forms, what each understands, what gets lost."""
