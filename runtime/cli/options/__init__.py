"""What commands share: options, and making what these ask for."""
