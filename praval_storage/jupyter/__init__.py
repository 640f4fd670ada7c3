"""What a notebook user sees, and says in magics."""
