"""People as others see them: profiles, and who follows whom."""
