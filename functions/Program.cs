using DingFlow;

return await DingFlowProgram.RunAsync(args);
