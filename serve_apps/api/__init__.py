"""The API process: the app from all features, its page, its documentation, its Serve deployment."""
