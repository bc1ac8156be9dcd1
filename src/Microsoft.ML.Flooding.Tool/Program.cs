using Mlflood;

return CommandLine.Run(args);
