"""Videos of predictions: frames are read, predicted, drawn and encoded one by one."""
