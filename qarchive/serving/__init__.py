"""The pages of `report`, live over a whole archive: a server for this computer alone, which only reads."""
