-- A held load that a person rejects ends in state `rejected`, which was `discarded`.
UPDATE loads SET state = 'rejected' WHERE state = 'discarded';
