"""Make the trained models of the zoo again. Each recipe holds the data, the training and the scores of one model;
nothing else imports this room.
"""
