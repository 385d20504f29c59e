"""What training minimises; void pixels never count."""
