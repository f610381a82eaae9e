"""What people were told, as they read it later."""
