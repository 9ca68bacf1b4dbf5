"""The output to VRChat: OSC, and OSCQuery to know the avatar's parameters."""
