"""Training the speech network: corpus, augmentation, network, loop, export. Only here is torch imported."""
