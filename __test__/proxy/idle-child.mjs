// Lives until its parent lets go of it.
process.on('disconnect', () => process.exit(0));
process.send('here');
