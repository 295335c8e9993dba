"""What only a course needs of its library: claims, checks, the clinic, figures that move."""
