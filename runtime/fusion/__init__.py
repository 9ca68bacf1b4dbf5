"""Camera and microphone as one face: who leads, waiting for the slower one, eyes that nobody sees."""
